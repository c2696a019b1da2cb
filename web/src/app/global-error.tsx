"use client";

import "./globals.css";
import { useEffect } from "react";
import { isStaleBuild, reloadOnceForStaleBuild } from "@/lib/stale-build";

/** Stands in for everything, also for the layout: nothing of it can be used here. */
export default function GlobalError({ error }: { error: Error }) {
  useEffect(() => {
    if (!reloadOnceForStaleBuild(error)) console.error(error);
  }, [error]);
  return (
    <html lang="en">
      <body className="flex min-h-dvh flex-col items-center justify-center gap-3 p-6 text-center">
        <title>Vivarium</title>
        <h1 className="font-semibold text-lg">
          {isStaleBuild(error) ? "Vivarium was updated" : "Vivarium stopped working"}
        </h1>
        <p className="max-w-sm text-muted">What was saved is safe. Reloading the page usually helps.</p>
        <button
          type="button"
          className="h-9 rounded-md bg-accent px-4 font-medium text-on-accent"
          onClick={() => window.location.reload()}
        >
          Reload
        </button>
      </body>
    </html>
  );
}
