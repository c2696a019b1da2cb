"use client";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Toaster } from "sonner";
import { ApiError } from "@/api/errors";
import { ThemeProvider, useTheme } from "@/lib/theme";
import { TooltipProvider } from "./ui/tooltip";

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
        <TooltipProvider>
          {children}
          <Toasts />
        </TooltipProvider>
      </ThemeProvider>
    </QueryClientProvider>
  );
}

function Toasts() {
  const { theme } = useTheme();
  return (
    <Toaster
      theme={theme}
      position="bottom-right"
      offset={{ bottom: 36, right: 16 }}
      mobileOffset={{ bottom: 64 }}
      toastOptions={{
        style: {
          background: "var(--raised)",
          color: "var(--ink)",
          borderColor: "var(--line)",
          boxShadow: "var(--shadow)",
          fontFamily: "var(--font-sans)",
        },
      }}
    />
  );
}
