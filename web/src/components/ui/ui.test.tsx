import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { ConfirmDialog } from "./confirm-dialog";
import { Dialog } from "./dialog";
import { Menu, type MenuEntries } from "./menu";
import { Toasts, toast } from "./toast";

function Page() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Ask
      </button>
      {open ? (
        <ConfirmDialog title="Sure?" action="Yes" onConfirm={() => {}} onCancel={() => setOpen(false)}>
          Well.
        </ConfirmDialog>
      ) : null}
    </>
  );
}

function start(entries: MenuEntries) {
  render(<Menu label="More" entries={entries} trigger={(props) => <button {...props}>Open</button>} />);
  return userEvent.setup();
}

describe("Menu", () => {
  const chosen = vi.fn();
  const entries: MenuEntries = [
    { label: "New file", onSelect: () => chosen("new") },
    null,
    { label: "Rename", disabled: true, onSelect: () => chosen("rename") },
    { label: "Delete", onSelect: () => chosen("delete") },
  ];

  it("opens with the first entry in focus and says so on its button", async () => {
    const act = start(entries);
    const button = screen.getByRole("button", { name: "Open" });
    expect(button).toHaveAttribute("aria-expanded", "false");
    await act.click(button);
    expect(button).toHaveAttribute("aria-expanded", "true");
    expect(screen.getByRole("menuitem", { name: "New file" })).toHaveFocus();
  });

  it("moves by arrows around the ends, and by first letters", async () => {
    const act = start(entries);
    await act.click(screen.getByRole("button"));
    await act.keyboard("{ArrowUp}");
    expect(screen.getByRole("menuitem", { name: "Delete" })).toHaveFocus();
    await act.keyboard("{ArrowDown}");
    expect(screen.getByRole("menuitem", { name: "New file" })).toHaveFocus();
    await act.keyboard("d");
    expect(screen.getByRole("menuitem", { name: "Delete" })).toHaveFocus();
  });

  it("runs what is chosen after it has closed, and gives the focus back", async () => {
    const act = start(entries);
    await act.click(screen.getByRole("button"));
    await act.keyboard("{End}{Enter}");
    await vi.waitFor(() => expect(chosen).toHaveBeenCalledWith("delete"));
    expect(screen.queryByRole("menu")).toBeNull();
    expect(screen.getByRole("button")).toHaveFocus();
  });

  it("does nothing for an entry that cannot be chosen", async () => {
    const act = start(entries);
    await act.click(screen.getByRole("button"));
    await act.click(screen.getByRole("menuitem", { name: "Rename" }));
    expect(chosen).not.toHaveBeenCalledWith("rename");
    expect(screen.getByRole("menu")).toBeInTheDocument();
  });

  it("shows which choice is made", async () => {
    const act = start([
      { label: "Light", checked: true, onSelect: () => {} },
      { label: "Dark", checked: false, onSelect: () => {} },
    ]);
    await act.click(screen.getByRole("button"));
    expect(screen.getByRole("menuitemradio", { checked: true })).toHaveTextContent("Light");
  });
});

describe("dialogs", () => {
  it("have a name, put the focus into the first field, and close with their button", async () => {
    const onClose = vi.fn();
    render(
      <Dialog title="Rename" description="It keeps its content." onClose={onClose}>
        <input aria-label="Name" />
      </Dialog>,
    );
    expect(screen.getByRole("dialog", { name: "Rename" })).toHaveAccessibleDescription("It keeps its content.");
    expect(screen.getByLabelText("Name")).toHaveFocus();
    await userEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(onClose).toHaveBeenCalled();
  });

  it("that ask have the focus on the harmless answer", async () => {
    const onConfirm = vi.fn();
    render(
      <ConfirmDialog title="Delete it?" action="Delete" danger onConfirm={onConfirm} onCancel={() => {}}>
        All is lost.
      </ConfirmDialog>,
    );
    expect(screen.getByRole("alertdialog", { name: "Delete it?" })).toHaveAccessibleDescription("All is lost.");
    expect(screen.getByRole("button", { name: "Cancel" })).toHaveFocus();
    await userEvent.click(screen.getByRole("button", { name: "Delete" }));
    expect(onConfirm).toHaveBeenCalledTimes(1);
  });

  it("give the focus back to where it was", async () => {
    render(<Page />);
    await userEvent.click(screen.getByRole("button", { name: "Ask" }));
    await userEvent.click(screen.getByRole("button", { name: "Cancel" }));
    expect(screen.getByRole("button", { name: "Ask" })).toHaveFocus();
  });
});

describe("toasts", () => {
  it("are told politely, replaced by their id, and dismissed", async () => {
    render(<Toasts />);
    const id = toast.busy("Uploading…");
    expect(await screen.findByText("Uploading…")).toBeInTheDocument();
    toast.success("Uploaded", { id });
    expect(await screen.findByText("Uploaded")).toBeInTheDocument();
    expect(screen.queryByText("Uploading…")).toBeNull();
    expect(screen.getByRole("region", { name: "Notifications" })).toHaveAttribute("aria-live", "polite");
    await userEvent.click(screen.getByRole("button", { name: "Dismiss" }));
    expect(screen.queryByText("Uploaded")).toBeNull();
  });
});
