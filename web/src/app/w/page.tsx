import { RequireLogin } from "@/features/auth/require-login";
import { WorkspaceRoute } from "@/features/workspace/workspace-route";

export const metadata = { title: "Workspace" };

export default function Page() {
  return (
    <RequireLogin>
      <WorkspaceRoute />
    </RequireLogin>
  );
}
