// Puts the template beside the package's files, for a package that leaves this checkout.
import { copyFileSync } from "node:fs";

copyFileSync(new URL("../../template.yaml", import.meta.url), new URL("../template.yaml", import.meta.url));
