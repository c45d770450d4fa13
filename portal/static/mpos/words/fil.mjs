/** Filipino, key by key as in en.mjs. */
export default {
  close: "Isara",
  collection: "Koleksyon",
  language: "Wika",
  log_in_again: "Mag-log in ulit",
  main: "Pangunahin",
  main_action: "Pangunahing gawain",
  offline: "Offline",
  readings: "Readings",
  settings: "Settings",
  transactions: "Transaksyon",
};
