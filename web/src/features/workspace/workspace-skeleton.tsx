import { Logo } from "@/components/logo";
import { EditorSkeleton } from "../editor/lazy";

/** The page before anything is known: the same lines at the same places. */
export function WorkspaceSkeleton() {
  return (
    <div className="flex h-dvh flex-col">
      <div className="flex h-11 shrink-0 items-center gap-3 border-line border-b bg-surface px-3 text-accent">
        <Logo size={22} />
        <div className="skeleton h-4 w-32" />
      </div>
      <div className="flex min-h-0 flex-1">
        <div className="hidden w-60 border-line border-r bg-canvas md:block" />
        <div className="flex min-w-0 flex-1 flex-col bg-surface">
          <div className="h-9 border-line border-b bg-canvas" />
          <div className="min-h-0 flex-1 overflow-hidden">
            <EditorSkeleton />
          </div>
          <div className="hidden h-[34%] border-line border-t md:block" />
        </div>
      </div>
      <div className="h-6 shrink-0 border-line border-t bg-canvas max-md:h-[84px]" />
      <span className="sr-only" role="status">
        Loading the workspace
      </span>
    </div>
  );
}
