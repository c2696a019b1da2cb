"use client";

import { Tooltip as Primitive } from "radix-ui";
import type { ReactNode } from "react";
import { shortcut } from "@/lib/platform";

export const TooltipProvider = ({ children }: { children: ReactNode }) => (
  <Primitive.Provider delayDuration={450} skipDelayDuration={200}>
    {children}
  </Primitive.Provider>
);

export function Tooltip({
  text,
  keys,
  side = "bottom",
  children,
}: {
  text: ReactNode;
  keys?: string | undefined;
  side?: "top" | "bottom" | "left" | "right";
  children: ReactNode;
}) {
  return (
    <Primitive.Root>
      <Primitive.Trigger asChild>{children}</Primitive.Trigger>
      <Primitive.Portal>
        <Primitive.Content
          side={side}
          sideOffset={6}
          collisionPadding={8}
          className="pop z-50 flex max-w-xs items-center gap-2 rounded-md bg-ink px-2 py-1 text-canvas text-xs shadow-pop"
        >
          {text}
          {keys ? <span className="opacity-70">{shortcut(keys)}</span> : null}
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}
