import { queryOptions } from "@tanstack/react-query";
import { call } from "../client";
import { keys } from "../keys";
import type { AuthOptions, User } from "../types";

export const meQuery = () =>
  queryOptions({
    queryKey: keys.me,
    queryFn: ({ signal }) => call<User>("GET", "/auth/me", { signal }),
    staleTime: 60_000,
  });

export const authOptionsQuery = () =>
  queryOptions({
    queryKey: keys.authOptions,
    queryFn: ({ signal }) => call<AuthOptions>("GET", "/auth/options", { signal }),
    staleTime: 30_000,
  });

export interface Credentials {
  username: string;
  password: string;
}

export const login = (credentials: Credentials) => call<User>("POST", "/auth/login", { json: credentials });
export const register = (credentials: Credentials) => call<User>("POST", "/auth/register", { json: credentials });
export const setup = (credentials: Credentials & { token: string }) =>
  call<User>("POST", "/auth/setup", { json: credentials });
export const logout = () => call<void>("POST", "/auth/logout");
export const changePassword = (current: string, next: string) =>
  call<void>("POST", "/auth/password", { json: { current, next } });
