import { LoginPage } from "@/features/auth/login-page";

export const metadata = { title: "Sign in" };

export default function Page() {
  return <LoginPage />;
}
