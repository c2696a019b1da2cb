import { Signal } from "@/lib/signal";

/** True while the page is being left by signing out: what fails then for want of a login is as it should be. */
export const signingOut = new Signal(false);
