/** English: the words of the screens, by key. Paper has its own (paper.mjs). */
export default {
  close: "Close",
  collection: "Collection",
  language: "Language",
  log_in_again: "Log in again",
  main: "Main",
  main_action: "Main action",
  offline: "Offline",
  readings: "Readings",
  settings: "Settings",
  transactions: "Transactions",
};
