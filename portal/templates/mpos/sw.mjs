import { start } from "/static/mpos/sw_core.mjs";

start(self, { version: {{ version | tojson }}, files: {{ files | tojson }} });
