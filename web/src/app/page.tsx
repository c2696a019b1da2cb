import { Redirect } from "@/components/redirect";

export default function Home() {
  return <Redirect to="/workspaces" />;
}
