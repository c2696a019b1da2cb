import Link from "next/link";
import { CenteredPage } from "@/components/centered-page";
import { Button } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";

export const metadata = { title: "Not found" };

export default function NotFound() {
  return (
    <CenteredPage>
      <Empty
        title="There is no such page"
        actions={
          <Button variant="primary" asChild>
            <Link href="/workspaces" prefetch={false}>
              Your workspaces
            </Link>
          </Button>
        }
      >
        The address may be mistyped, or what was here is gone.
      </Empty>
    </CenteredPage>
  );
}
