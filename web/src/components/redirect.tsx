"use client";

import { useRouter } from "next/navigation";
import { useEffect } from "react";
import { Splash } from "./splash";

/** Goes to another page at once; a static export has no other redirects. */
export function Redirect({ to }: { to: string }) {
  const router = useRouter();
  useEffect(() => router.replace(to), [router, to]);
  return <Splash />;
}
