import type { ReactNode } from "react";
import { Logo } from "./logo";
import { ThemeMenu } from "./theme-menu";

/** A page with one small thing in its middle: signing in, an error. */
export function CenteredPage({ children }: { children: ReactNode }) {
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="flex h-14 items-center justify-end px-4">
        <ThemeMenu />
      </header>
      <main className="flex flex-1 flex-col items-center px-4 pt-[8vh] pb-24">
        <div className="mb-7 flex items-center gap-2.5 text-accent">
          <Logo size={30} />
          <span className="font-semibold text-ink text-xl tracking-tight">Vivarium</span>
        </div>
        <div className="w-full max-w-sm">{children}</div>
      </main>
    </div>
  );
}
