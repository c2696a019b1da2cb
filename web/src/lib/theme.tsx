"use client";

import { createContext, type ReactNode, useContext, useEffect, useMemo } from "react";
import { Signal, useSignal } from "./signal";
import { recall, remember } from "./storage";

export type ThemeChoice = "system" | "light" | "dark";
export type Theme = "light" | "dark";

// scripts/first-paint.mjs does the same before the first paint, from the HTML itself.
const key = "vivarium.theme";
const darkQuery = "(prefers-color-scheme: dark)";

const choice = new Signal<ThemeChoice>("system");
const systemDark = new Signal(false);

function resolve(c: ThemeChoice, dark: boolean): Theme {
  return c === "system" ? (dark ? "dark" : "light") : c;
}

interface ThemeContext {
  choice: ThemeChoice;
  theme: Theme;
  choose: (choice: ThemeChoice) => void;
}

const Context = createContext<ThemeContext | null>(null);

export function ThemeProvider({ children }: { children: ReactNode }) {
  const chosen = useSignal(choice);
  const dark = useSignal(systemDark);
  const theme = resolve(chosen, dark);

  useEffect(() => {
    const list = window.matchMedia(darkQuery);
    const changed = () => systemDark.set(list.matches);
    const stored = recall(key);
    if (stored === "light" || stored === "dark") choice.set(stored);
    changed();
    list.addEventListener("change", changed);
    return () => list.removeEventListener("change", changed);
  }, []);

  useEffect(() => {
    // The script in the HTML has set it for the first paint, from the same two sources.
    document.documentElement.dataset.theme = resolve(choice.get(), systemDark.get());
  });

  const value = useMemo(
    () => ({
      choice: chosen,
      theme,
      choose: (next: ThemeChoice) => {
        remember(key, next === "system" ? null : next);
        choice.set(next);
      },
    }),
    [chosen, theme],
  );
  return <Context value={value}>{children}</Context>;
}

export function useTheme(): ThemeContext {
  const context = useContext(Context);
  if (!context) throw new Error("useTheme is used outside of ThemeProvider");
  return context;
}

/** The value of a colour variable of globals.css at this moment. */
export function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
