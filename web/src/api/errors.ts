import type { Item } from "./types";

/** One field that the server did not accept. */
export interface FieldProblem {
  location: string;
  message: string;
}

/**
 * A request that failed. `status` is 0 when no answer came. `message` may be shown to the user as it is: the server
 * promises that of `detail`, and the rest are our own words.
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly fields: readonly FieldProblem[];
  readonly requestId: string | undefined;
  /** The item as it is now, after a stale save; null when it is gone. */
  readonly current: Item | null;
  readonly retryAfter: number | undefined;

  constructor(
    status: number,
    message: string,
    more: {
      fields?: readonly FieldProblem[] | undefined;
      requestId?: string | undefined;
      current?: Item | null | undefined;
      retryAfter?: number | undefined;
    } = {},
  ) {
    super(message);
    this.status = status;
    this.fields = more.fields ?? [];
    this.requestId = more.requestId;
    this.current = more.current ?? null;
    this.retryAfter = more.retryAfter;
  }

  /** The message about one field, in the API's name for it. */
  field(name: string): string | undefined {
    return this.fields.find((f) => f.location === name || f.location.endsWith(`.${name}`))?.message;
  }
}

const unreachable = "The server cannot be reached. Check your connection and try again.";

const byStatus: Record<number, string> = {
  401: "You are not signed in.",
  403: "You are not allowed to do this.",
  404: "This does not exist, or you have no access to it.",
  409: "This has changed in the meantime.",
  413: "This is too large.",
  429: "Too many requests. Wait a moment and try again.",
  502: "The server is not available at the moment. Try again shortly.",
  503: "The server is not available at the moment. Try again shortly.",
  504: "The server took too long to answer. Try again.",
};

/** The error for a request that got no answer. */
export function networkError(): ApiError {
  return new ApiError(0, unreachable);
}

/** Makes the error out of an answer that is not a success, whatever its body is. */
export async function errorOf(response: Response): Promise<ApiError> {
  const fallback = byStatus[response.status] ?? "Something went wrong on the server.";
  const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const more = { retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined };
  if (!/^application\/(problem\+)?json\b/.test(response.headers.get("Content-Type") ?? "")) {
    return new ApiError(response.status, fallback, more);
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (typeof body !== "object" || body === null) return new ApiError(response.status, fallback, more);
  const problem = body as { detail?: unknown; errors?: unknown; requestId?: unknown; current?: unknown };
  const fields = Array.isArray(problem.errors)
    ? problem.errors.flatMap((e: unknown) => {
        const { location, message } = (e ?? {}) as { location?: unknown; message?: unknown };
        return typeof message === "string" ? [{ location: typeof location === "string" ? location : "", message }] : [];
      })
    : [];
  const detail = typeof problem.detail === "string" && problem.detail !== "" ? problem.detail : undefined;
  // huma answers a wrong input with "validation failed"; the fields say more.
  const message =
    fields.length > 0 && (detail === undefined || /^validation failed$/i.test(detail))
      ? fields.map((f) => f.message).join(" ")
      : (detail ?? fallback);
  return new ApiError(response.status, message, {
    ...more,
    fields,
    requestId: typeof problem.requestId === "string" ? problem.requestId : undefined,
    current: isItem(problem.current) ? problem.current : null,
  });
}

function isItem(value: unknown): value is Item {
  if (typeof value !== "object" || value === null) return false;
  const item = value as Partial<Item>;
  return typeof item.path === "string" && typeof item.version === "number";
}

/** What to tell the user about any error. */
export function messageOf(error: unknown): string {
  return error instanceof ApiError ? error.message : "Something unexpected went wrong.";
}

export function isStatus(error: unknown, status: number): error is ApiError {
  return error instanceof ApiError && error.status === status;
}
