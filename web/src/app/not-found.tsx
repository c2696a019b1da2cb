import Link from "next/link";
import { CenteredPage } from "@/components/centered-page";
import { buttonClass } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";

export const metadata = { title: "Not found" };

export default function NotFound() {
  return (
    <CenteredPage>
      <Empty
        page
        title="There is no such page"
        actions={
          <Link href="/workspaces" prefetch={false} className={buttonClass({ variant: "primary" })}>
            Your workspaces
          </Link>
        }
      >
        The address may be mistyped, or what was here is gone.
      </Empty>
    </CenteredPage>
  );
}
