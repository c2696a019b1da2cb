/** The mark: a leaf under a bell jar. */
export function Logo({ size = 22, className }: { size?: number; className?: string }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
      className={className}
    >
      <path d="M5 19V10.5a7 7 0 0 1 14 0V19" />
      <path d="M3.2 20.5h17.6" />
      <path d="M12 1.9v1.4" />
      <path d="M12 18.5v-6.2" />
      <path d="M12 13.6c-2.9.5-4.6-.9-4.5-3.7 2.9-.4 4.6 1 4.5 3.7Z" fill="currentColor" stroke="none" />
      <path d="M12 11.6c.1-2.6 1.7-4 4.4-3.7.2 2.7-1.4 4.1-4.4 3.7Z" fill="currentColor" stroke="none" />
    </svg>
  );
}
