import { Logo } from "./logo";

/** What stands while it is not known yet which page to show. */
export function Splash({ text = "Loading" }: { text?: string }) {
  return (
    <main className="flex min-h-dvh items-center justify-center text-accent">
      <Logo size={40} className="animate-pulse" />
      <span className="sr-only" role="status">
        {text}
      </span>
    </main>
  );
}
