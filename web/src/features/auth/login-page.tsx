"use client";

import { useQuery } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useEffect, useState } from "react";
import { authOptionsQuery, login, meQuery, register } from "@/api/queries/auth";
import { CenteredPage } from "@/components/centered-page";
import { Splash } from "@/components/splash";
import { Notice } from "@/components/ui/notice";
import { useMounted } from "@/lib/mounted";
import { AccountForm } from "./account-form";
import { nextPage } from "./next-page";

export function LoginPage() {
  const mounted = useMounted();
  const router = useRouter();
  const options = useQuery(authOptionsQuery());
  const me = useQuery({ ...meQuery(), retry: false });
  const [making, setMaking] = useState(false);

  const next = mounted ? nextPage(window.location.search) : "/workspaces";
  useEffect(() => {
    if (me.isSuccess) router.replace(next);
  }, [me.isSuccess, next, router]);

  if (me.isSuccess) return <Splash />;
  const { setup = false, registration = false } = options.data ?? {};
  const fresh = making && registration;
  return (
    <CenteredPage>
      <h1 className="mb-4 font-semibold text-lg">{fresh ? "Create an account" : "Sign in"}</h1>
      {setup ? (
        <Notice className="mb-4">
          There is no account yet. Open the one-time link that the server printed when it started, or enter its token{" "}
          <a href="/setup" className="font-medium underline">
            on the set-up page
          </a>
          .
        </Notice>
      ) : null}
      <AccountForm
        key={fresh ? "register" : "login"}
        action={fresh ? "Create account" : "Sign in"}
        fresh={fresh}
        submit={fresh ? register : login}
        onDone={() => router.replace(next)}
      />
      {registration ? (
        <p className="mt-5 text-center text-muted">
          {fresh ? "You have an account already? " : "No account yet? "}
          <button type="button" className="font-medium text-accent-ink underline" onClick={() => setMaking(!making)}>
            {fresh ? "Sign in" : "Register"}
          </button>
        </p>
      ) : null}
    </CenteredPage>
  );
}
