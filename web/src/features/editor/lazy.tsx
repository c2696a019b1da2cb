"use client";

import dynamic from "next/dynamic";

/** Lines of no text, while the editor is on its way. */
export function EditorSkeleton() {
  const widths = ["w-40", "w-64", "w-0", "w-72", "w-52", "w-80", "w-36", "w-0", "w-60"];
  return (
    <div className="flex flex-col gap-[11px] p-4 pl-16" aria-hidden="true">
      {widths.map((width, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a constant list
        <div key={i} className={`skeleton h-[9px] max-w-full ${width}`} />
      ))}
    </div>
  );
}

export const CodeEditor = dynamic(() => import("./code-editor").then((m) => m.CodeEditor), {
  ssr: false,
  loading: EditorSkeleton,
});

export const CompareView = dynamic(() => import("./compare-view").then((m) => m.CompareView), {
  ssr: false,
  loading: EditorSkeleton,
});
