import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { keys } from "@/api/keys";
import { item, workspace } from "@/test/entities";
import type { Command } from "../workspace/commands";
import { Desk } from "../workspace/desk";
import { DeskContext } from "../workspace/use-desk";
import { Palette } from "./palette";

Element.prototype.scrollIntoView = () => {};

function start(commands: Command[] = []) {
  const client = new QueryClient();
  const { id } = workspace();
  client.setQueryData(keys.tree(id), {
    items: [item("src/main.py"), item("main.txt"), item("plot.png"), item("src", { kind: "folder" })],
  });
  const desk = new Desk(id, client);
  desk.openFile = vi.fn();
  render(
    <QueryClientProvider client={client}>
      <DeskContext value={desk}>
        <Palette commands={commands} />
      </DeskContext>
    </QueryClientProvider>,
  );
  return { desk, act: userEvent.setup() };
}

describe("Palette", () => {
  it("opens the best match with Enter", async () => {
    const { desk, act } = start();
    desk.palette.set("files");
    await act.type(await screen.findByRole("combobox"), "mainpy{Enter}");
    expect(desk.openFile).toHaveBeenCalledWith("src/main.py");
    expect(desk.palette.get()).toBeUndefined();
  });

  it("moves with the arrows and names the entry that Enter takes", async () => {
    const { desk, act } = start();
    desk.palette.set("files");
    const box = await screen.findByRole("combobox");
    await act.keyboard("{ArrowDown}");
    const chosen = screen.getByRole("option", { selected: true });
    expect(box).toHaveAttribute("aria-activedescendant", chosen.id);
    expect(screen.getAllByRole("option").indexOf(chosen)).toBe(1);
  });

  it("runs commands, and offers only those that can be run", async () => {
    const ran = vi.fn();
    const { desk, act } = start([
      { id: "a", title: "Save all", run: ran },
      { id: "b", title: "Save nothing", enabled: () => false, run: ran },
    ]);
    desk.palette.set("commands");
    await act.type(await screen.findByRole("combobox"), "save");
    expect(screen.getAllByRole("option")).toHaveLength(1);
    await act.keyboard("{Enter}");
    expect(ran).toHaveBeenCalledTimes(1);
  });

  it("says so when nothing is found", async () => {
    const { desk, act } = start();
    desk.palette.set("files");
    await act.type(await screen.findByRole("combobox"), "zzz");
    expect(screen.getByRole("status")).toHaveTextContent("No such file.");
  });
});
