// What a terminal says by itself when a program asks it: cursor position, device attributes, colours, modes. When output is
// replayed after a reload, the questions in it are answered again, long after the program that asked: those answers would
// land in the shell as if they were typed.

// biome-ignore lint/suspicious/noControlCharactersInRegex: reports are made of control characters
const report = /^(?:\x1b\[[?>=]?[\d;]*(?:\$y|[cRnx])|\x1b\[[IO]|\x1b[P\]_^][^\x07\x1b\r\n]*(?:\x07|\x1b\\))+$/;

/** Whether data that the terminal emits is an answer to a program rather than typing. */
export function isReport(data: string): boolean {
  return report.test(data);
}
