"use client";

import { Monitor, Moon, Sun } from "lucide-react";
import { type ThemeChoice, useTheme } from "@/lib/theme";
import { IconButton } from "./ui/icon-button";
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
      label="Theme"
      entries={choices.map((c) => ({ label: c.label, checked: c.choice === choice, onSelect: () => choose(c.choice) }))}
      trigger={(props) => (
        <IconButton large label="Theme" {...props}>
          <Icon size={16} aria-hidden="true" />
        </IconButton>
      )}
    />
  );
}
