"use client";

import dynamic from "next/dynamic";

export const TerminalView = dynamic(() => import("./terminal-view").then((m) => m.TerminalView), {
  ssr: false,
  loading: () => <div className="h-full" />,
});
