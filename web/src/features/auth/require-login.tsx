"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { type ReactNode, useEffect } from "react";
import { signedOut } from "@/api/client";
import { isStatus, messageOf } from "@/api/errors";
import { keys } from "@/api/keys";
import { login, meQuery } from "@/api/queries/auth";
import { CenteredPage } from "@/components/centered-page";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Empty } from "@/components/ui/empty";
import { useMounted } from "@/lib/mounted";
import { useSignal } from "@/lib/signal";
import { unsavedEdits } from "@/lib/unsaved";
import { AccountForm } from "./account-form";
import { loginPage } from "./next-page";
import { signingOut } from "./signing-out";

/**
 * Shows its children to somebody who is signed in, and sends others to the login page. The children are rendered while that
 * is found out: their own requests go out at the same time, and show nothing to somebody without a login.
 */
export function RequireLogin({ children }: { children: ReactNode }) {
  const mounted = useMounted();
  const router = useRouter();
  const client = useQueryClient();
  const me = useQuery({ ...meQuery(), enabled: mounted });
  const out = useSignal(signedOut);
  const unsaved = useSignal(unsavedEdits);
  const nobody = isStatus(me.error, 401) || out;
  // Going away would lose the edits: then the password is asked for on the spot.
  const inPlace = nobody && unsaved && me.data !== undefined;

  useEffect(() => {
    if (!nobody || inPlace || signingOut.get()) return;
    // The login page must not find the one who was signed in.
    client.removeQueries({ queryKey: keys.me });
    signedOut.set(false);
    router.replace(loginPage(window.location.pathname));
  }, [nobody, inPlace, router, client]);

  if (me.isError && !nobody && me.data === undefined) {
    return (
      <CenteredPage>
        <Empty
          page
          title="Vivarium cannot be reached"
          actions={
            <Button variant="primary" busy={me.isFetching} onClick={() => void me.refetch()}>
              Try again
            </Button>
          }
        >
          {messageOf(me.error)}
        </Empty>
      </CenteredPage>
    );
  }
  return (
    <>
      {children}
      {inPlace ? (
        <Dialog
          title="You are signed out"
          description="Sign in again to go on: your edits are still here, and not saved yet."
        >
          <AccountForm action="Sign in" username={me.data?.username} submit={login} onDone={() => void me.refetch()} />
          <button
            type="button"
            className="self-center text-muted underline hover:text-ink"
            onClick={() => {
              unsavedEdits.set(false);
              signingOut.set(true);
              window.location.assign("/login");
            }}
          >
            Leave and lose the edits
          </button>
        </Dialog>
      ) : null}
    </>
  );
}
