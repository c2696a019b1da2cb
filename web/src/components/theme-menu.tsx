"use client";

import { Monitor, Moon, Sun } from "lucide-react";
import { type ThemeChoice, useTheme } from "@/lib/theme";
import { Menu } from "./ui/menu";

const choices: { choice: ThemeChoice; label: string }[] = [
  { choice: "light", label: "Light" },
  { choice: "dark", label: "Dark" },
  { choice: "system", label: "As the system" },
];

/** The button for the theme. */
export function ThemeMenu() {
  const { choice, theme, choose } = useTheme();
  const Icon = choice === "system" ? Monitor : theme === "dark" ? Moon : Sun;
  return (
    <Menu
      entries={choices.map((c) => ({ label: c.label, checked: c.choice === choice, onSelect: () => choose(c.choice) }))}
    >
      <button
        type="button"
        aria-label="Theme"
        title="Theme"
        className="inline-flex size-8 items-center justify-center rounded-md text-muted hover:bg-sunken hover:text-ink"
      >
        <Icon size={16} aria-hidden="true" />
      </button>
    </Menu>
  );
}
