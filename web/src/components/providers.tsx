"use client";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { ApiError } from "@/api/errors";
import { ThemeProvider } from "@/lib/theme";
import { Toasts } from "./ui/toast";

/** Trying again helps when no answer came or the server is starting; it never helps against a "no". */
function retry(failures: number, error: Error): boolean {
  return (
    failures < 3 && error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 502)
  );
}

export function Providers({ children }: { children: ReactNode }) {
  const [client] = useState(
    () =>
      new QueryClient({
        defaultOptions: {
          queries: { retry, staleTime: 5_000, refetchOnWindowFocus: false },
          mutations: { retry: false },
        },
      }),
  );
  return (
    <QueryClientProvider client={client}>
      <ThemeProvider>
        {children}
        <Toasts />
      </ThemeProvider>
    </QueryClientProvider>
  );
}
