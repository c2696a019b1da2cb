"use client";

import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { authOptionsQuery, setup } from "@/api/queries/auth";
import { CenteredPage } from "@/components/centered-page";
import { Splash } from "@/components/splash";
import { buttonClass } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { Field } from "@/components/ui/field";
import { useMounted } from "@/lib/mounted";
import { AccountForm } from "./account-form";
import { tokenIn } from "./setup-token";

export function SetupPage() {
  const mounted = useMounted();
  return mounted ? <Setup /> : <Splash />;
}

function Setup() {
  const router = useRouter();
  const options = useQuery(authOptionsQuery());
  // The token stays behind the "#": that part of an address is never sent, so it is in no server's log.
  const [fromLink] = useState(() => tokenIn(window.location.hash));
  const [typed, setTyped] = useState("");
  const token = fromLink ?? tokenIn(typed) ?? "";

  if (options.data && !options.data.setup) {
    return (
      <CenteredPage>
        <Empty
          page
          title="Vivarium is set up already"
          actions={
            <Link href="/login" prefetch={false} className={buttonClass({ variant: "primary" })}>
              Sign in
            </Link>
          }
        >
          The first account has been made. Its owner can make others.
        </Empty>
      </CenteredPage>
    );
  }

  return (
    <CenteredPage>
      <h1 className="font-semibold text-lg">Make the first account</h1>
      <p className="mt-1 mb-5 text-muted">It is an administrator’s: it may do everything.</p>
      <AccountForm
        action="Create account"
        fresh
        disabled={token === ""}
        submit={(credentials) => setup({ ...credentials, token })}
        onDone={() => router.replace("/workspaces")}
      >
        {fromLink ? null : (
          <Field
            label="Token"
            autoComplete="off"
            spellCheck={false}
            autoCapitalize="none"
            value={typed}
            onChange={(e) => setTyped(e.target.value)}
            hint="The server prints a one-time link when it starts. Open it, or paste it here."
          />
        )}
      </AccountForm>
    </CenteredPage>
  );
}
