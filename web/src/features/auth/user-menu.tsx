"use client";

import { useQuery } from "@tanstack/react-query";
import { KeyRound, LogOut, UserRound } from "lucide-react";
import { useState } from "react";
import { isStatus, messageOf } from "@/api/errors";
import { logout, meQuery } from "@/api/queries/auth";
import { IconButton } from "@/components/ui/icon-button";
import { Menu } from "@/components/ui/menu";
import { toast } from "@/components/ui/toast";
import { unsavedEdits } from "@/lib/unsaved";
import { PasswordDialog } from "./password-dialog";
import { signingOut } from "./signing-out";

export function UserMenu() {
  const me = useQuery(meQuery());
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
    signingOut.set(true);
    // A new document: nothing that was loaded for this user stays in memory.
    window.location.assign("/login");
  };

  return (
    <>
      <Menu
        label="Account"
        header={me.data ? `Signed in as ${me.data.username}` : undefined}
        entries={[
          { label: "Change password…", icon: <KeyRound size={14} />, onSelect: () => setChanging(true) },
          null,
          { label: "Sign out", icon: <LogOut size={14} />, onSelect: () => void leave() },
        ]}
        trigger={(props) => (
          <IconButton large label="Account" {...props}>
            <UserRound size={16} aria-hidden="true" />
          </IconButton>
        )}
      />
      {changing ? <PasswordDialog onClose={() => setChanging(false)} /> : null}
    </>
  );
}
