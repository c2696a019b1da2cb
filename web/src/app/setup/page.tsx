import { SetupPage } from "@/features/auth/setup-page";

export const metadata = { title: "Set up" };

export default function Page() {
  return <SetupPage />;
}
