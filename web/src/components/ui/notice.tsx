import { CircleAlert, Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

const tones = {
  info: { box: "border-line bg-accent-soft text-accent-ink", Icon: Info },
  warn: { box: "border-warn/30 bg-warn-soft text-warn", Icon: TriangleAlert },
  danger: { box: "border-danger/30 bg-danger-soft text-danger", Icon: CircleAlert },
} as const;

/** A message in the place that it is about, with what can be done. */
export function Notice({
  tone = "info",
  children,
  actions,
  className,
}: {
  tone?: keyof typeof tones;
  children: ReactNode;
  actions?: ReactNode;
  className?: string;
}) {
  const { box, Icon } = tones[tone];
  return (
    <div
      role={tone === "info" ? "status" : "alert"}
      className={cn("flex flex-wrap items-center gap-x-3 gap-y-2 rounded-md border px-3 py-2 text-sm", box, className)}
    >
      <div className="flex min-w-0 flex-1 basis-56 items-start gap-2">
        <Icon size={15} className="mt-0.5 shrink-0" aria-hidden="true" />
        <div className="min-w-0 break-words">{children}</div>
      </div>
      {actions ? <div className="flex flex-wrap gap-2">{actions}</div> : null}
    </div>
  );
}
