import { RequireLogin } from "@/features/auth/require-login";
import { WorkspacesPage } from "@/features/workspaces/workspaces-page";

export const metadata = { title: "Workspaces" };

export default function Page() {
  return (
    <RequireLogin>
      <WorkspacesPage />
    </RequireLogin>
  );
}
