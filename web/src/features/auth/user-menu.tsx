"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, LogOut, UserRound } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { toast } from "sonner";
import { signedOut } from "@/api/client";
import { isStatus, messageOf } from "@/api/errors";
import { keys } from "@/api/keys";
import { logout, meQuery } from "@/api/queries/auth";
import { Menu } from "@/components/ui/menu";
import { unsavedEdits } from "@/lib/unsaved";
import { PasswordDialog } from "./password-dialog";

export function UserMenu() {
  const me = useQuery(meQuery());
  const client = useQueryClient();
  const router = useRouter();
  const [changing, setChanging] = useState(false);

  const leave = async () => {
    if (unsavedEdits.get() && !window.confirm("There are unsaved edits. Sign out and lose them?")) return;
    try {
      await logout();
    } catch (error) {
      if (!isStatus(error, 401)) {
        toast.error(messageOf(error));
        return;
      }
    }
    unsavedEdits.set(false);
    client.removeQueries({ queryKey: keys.me });
    router.replace("/login");
    // After the navigation has begun: what is on the screen must not ask again for what is no longer its own.
    setTimeout(() => {
      client.clear();
      signedOut.set(false);
    }, 0);
  };

  return (
    <>
      <Menu
        header={me.data ? `Signed in as ${me.data.username}` : undefined}
        entries={[
          { label: "Change password…", icon: <KeyRound size={14} />, onSelect: () => setChanging(true) },
          null,
          { label: "Sign out", icon: <LogOut size={14} />, onSelect: () => void leave() },
        ]}
      >
        <button
          type="button"
          aria-label="Account"
          title="Account"
          className="inline-flex size-8 items-center justify-center rounded-md text-muted hover:bg-sunken hover:text-ink"
        >
          <UserRound size={16} aria-hidden="true" />
        </button>
      </Menu>
      {changing ? <PasswordDialog onClose={() => setChanging(false)} /> : null}
    </>
  );
}
