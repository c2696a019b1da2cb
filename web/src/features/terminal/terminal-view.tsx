"use client";

import { useEffect, useRef, useState } from "react";
import { useSignal } from "@/lib/signal";
import { useTheme } from "@/lib/theme";
import { useDesk } from "../workspace/use-desk";
import { loadFont, XtermScreen } from "./xterm";

/** Shows one terminal. Its screen is not React's: it is only put into the page here. */
export function TerminalView({ id, focus }: { id: string; focus: boolean }) {
  const desk = useDesk();
  const { terminals } = desk;
  const { theme } = useTheme();
  const host = useRef<HTMLDivElement>(null);
  const [font, setFont] = useState(false);
  const generation = useSignal(terminals.generation);
  const wantsFocus = useRef(focus);
  wantsFocus.current = focus;

  useEffect(() => {
    let gone = false;
    void loadFont().then(() => {
      if (!gone) setFont(true);
    });
    return () => {
      gone = true;
    };
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: after another generation it must be attached again
  useEffect(() => {
    const at = host.current;
    if (!at || !font) return;
    const { screen } = terminals.attach(
      id,
      (handlers) => new XtermScreen(handlers, terminals.screenReader.get()),
      (element) => at.replaceChildren(element),
    );
    if (wantsFocus.current) screen.focus();
    let frame = 0;
    const observer = new ResizeObserver(() => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => screen.fit());
    });
    observer.observe(at);
    return () => {
      observer.disconnect();
      cancelAnimationFrame(frame);
      screen.hide();
      screen.element.remove();
    };
  }, [id, font, terminals, generation]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme is another set of colours
  useEffect(() => {
    // After the theme's own effect has set the colours.
    const frame = requestAnimationFrame(() => terminals.retheme());
    return () => cancelAnimationFrame(frame);
  }, [theme, terminals]);

  return <div ref={host} className="h-full w-full overflow-hidden" />;
}
