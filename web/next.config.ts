import type { NextConfig } from "next";

const dev = process.env.NODE_ENV === "development";
const api = process.env.API_ORIGIN ?? "http://127.0.0.1:8080";

const config: NextConfig = {
  reactStrictMode: true,
  poweredByHeader: false,
  images: { unoptimized: true },
  // The commit makes the build reproducible, and lets an open tab notice that the server was upgraded.
  generateBuildId: () => process.env.BUILD_ID ?? "dev",
  // Type errors and lint have steps of their own, which run before the build.
  eslint: { ignoreDuringBuilds: true },
  ...(dev
    ? {
        // The embedded server does this for the export; rewrites are not allowed together with it.
        rewrites: async () => [
          { source: "/api/:path*", destination: `${api}/api/:path*` },
          { source: "/w/:id", destination: "/w" },
        ],
      }
    : { output: "export" as const }),
};

export default config;
