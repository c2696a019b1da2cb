import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

/** What stands where there is nothing (yet), or where something failed. */
export function Empty({
  icon,
  title,
  children,
  actions,
  page,
  className,
}: {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  /** It is all that the page has, so that its title is the page's. */
  page?: boolean;
  className?: string;
}) {
  const Title = page ? "h1" : "h2";
  return (
    <div className={cn("flex flex-col items-center justify-center gap-3 p-6 text-center", className)}>
      {icon ? (
        <div className="text-accent" aria-hidden="true">
          {icon}
        </div>
      ) : null}
      <Title className="font-semibold text-lg">{title}</Title>
      {children ? <div className="max-w-sm text-balance text-muted">{children}</div> : null}
      {actions ? <div className="mt-1 flex flex-wrap justify-center gap-2">{actions}</div> : null}
    </div>
  );
}
