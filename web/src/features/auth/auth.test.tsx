import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { ApiError } from "@/api/errors";
import type { User } from "@/api/types";
import { AccountForm } from "./account-form";
import { loginPage, nextPage } from "./next-page";
import { tokenIn } from "./setup-token";

const user: User = {
  id: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
  username: "ada",
  admin: true,
  createdAt: "2026-01-01T00:00:00Z",
};

function form(submit: (c: { username: string; password: string }) => Promise<User>, fresh = false) {
  const onDone = vi.fn();
  render(
    <QueryClientProvider client={new QueryClient()}>
      <AccountForm action="Sign in" fresh={fresh} submit={submit} onDone={onDone} />
    </QueryClientProvider>,
  );
  return { onDone, act: userEvent.setup() };
}

describe("AccountForm", () => {
  it("sends what was typed", async () => {
    const submit = vi.fn(async () => user);
    const { onDone, act } = form(submit);
    await act.type(screen.getByLabelText("Username"), " ada ");
    await act.type(screen.getByLabelText("Password"), "correct horse{Enter}");
    await vi.waitFor(() => expect(onDone).toHaveBeenCalledWith(user));
    expect(submit).toHaveBeenCalledWith({ username: "ada", password: "correct horse" }, expect.anything());
  });

  it("says what is missing, at the field, and sends nothing", async () => {
    const submit = vi.fn(async () => user);
    const { act } = form(submit);
    await act.click(screen.getByRole("button", { name: "Sign in" }));
    expect(screen.getByLabelText("Username")).toHaveAccessibleDescription("Enter a username.");
    expect(submit).not.toHaveBeenCalled();
  });

  it("shows a refusal, and a field's problem at the field", async () => {
    const { act } = form(async () => {
      throw new ApiError(422, "Too short.", { fields: [{ location: "body.password", message: "Too short." }] });
    }, true);
    await act.type(screen.getByLabelText("Username"), "ada");
    await act.type(screen.getByLabelText("Password"), "x{Enter}");
    await vi.waitFor(() => expect(screen.getByLabelText("Password")).toHaveAccessibleDescription("Too short."));
    expect(screen.getByLabelText("Password")).toBeInvalid();
  });

  it("shows the password on demand", async () => {
    const { act } = form(async () => user);
    expect(screen.getByLabelText("Password")).toHaveAttribute("type", "password");
    await act.click(screen.getByRole("button", { name: "Show the password" }));
    expect(screen.getByLabelText("Password")).toHaveAttribute("type", "text");
  });
});

describe("tokenIn", () => {
  it.each([
    ["#token=abc_DEF-123", "abc_DEF-123"],
    ["http://localhost:8080/setup#token=abcdefgh1", "abcdefgh1"],
    ["  abcdefgh1 ", "abcdefgh1"],
    ["#token=a%2Bb", "a+b"],
    ["", undefined],
    ["#", undefined],
    ["two words", undefined],
  ])("of %j is %s", (text, want) => expect(tokenIn(text)).toBe(want));
});

describe("nextPage", () => {
  const id = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
  it.each([
    ["", "/workspaces"],
    [`?next=/w/${id}`, `/w/${id}`],
    ["?next=//evil.example", "/workspaces"],
    ["?next=https://evil.example/", "/workspaces"],
    ["?next=javascript:alert(1)", "/workspaces"],
    [`?next=/w/${id}/../../x`, "/workspaces"],
  ])("of %j is %s", (search, want) => expect(nextPage(search)).toBe(want));

  it("loginPage leads back to where somebody was", () => {
    expect(loginPage("/workspaces")).toBe("/login");
    expect(nextPage(loginPage(`/w/${id}`).replace("/login", ""))).toBe(`/w/${id}`);
  });
});
