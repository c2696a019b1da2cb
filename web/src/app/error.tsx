"use client";

import { useEffect } from "react";
import { CenteredPage } from "@/components/centered-page";
import { Button } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { isStaleBuild, reloadOnceForStaleBuild } from "@/lib/stale-build";

export default function ErrorPage({ error, reset }: { error: Error; reset: () => void }) {
  useEffect(() => {
    if (!reloadOnceForStaleBuild(error)) console.error(error);
  }, [error]);
  return (
    <CenteredPage>
      <Empty
        page
        title={isStaleBuild(error) ? "Vivarium was updated" : "This page stopped working"}
        actions={
          <>
            <Button variant="primary" onClick={() => window.location.reload()}>
              Reload
            </Button>
            {isStaleBuild(error) ? null : <Button onClick={reset}>Try again</Button>}
          </>
        }
      >
        {isStaleBuild(error)
          ? "A part of this page belongs to an older version. Reloading brings the new one."
          : "That is our fault. What was saved is safe; reloading the page usually helps."}
      </Empty>
    </CenteredPage>
  );
}
