"use client";

import { useState } from "react";
import type { Notice as LimitNotice } from "@/api/types";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { useSession } from "../workspace/use-desk";

const keyOf = (notice: LimitNotice) => `${notice.at} ${notice.limit}`;

/** The last limit that ended or held back something: which one, by how much, and what to do. */
export function SessionNotices() {
  const session = useSession();
  const [dismissed, setDismissed] = useState<string>();
  const notice = session.data?.notices.at(-1);
  if (!notice || keyOf(notice) === dismissed) return null;
  return (
    <Notice
      tone="warn"
      className="rounded-none border-x-0 border-t-0"
      actions={
        <Button size="sm" onClick={() => setDismissed(keyOf(notice))}>
          Dismiss
        </Button>
      }
    >
      {notice.text}
      {notice.output ? (
        <details className="mt-1">
          <summary className="cursor-pointer">Its last output</summary>
          <pre className="mt-1 max-h-32 overflow-auto whitespace-pre-wrap break-words font-mono text-xs">
            {notice.output}
          </pre>
        </details>
      ) : null}
    </Notice>
  );
}
