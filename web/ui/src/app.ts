// Entry of the dashboard.

import { defineCustomElement as defineButton } from "@siemens/ix/components/ix-button.js";
import { defineCustomElement as defineIcon } from "@siemens/ix-icons/components/ix-icon.js";
import { client } from "./parts/context";
import { probe } from "./core/probe";
import "./pages/alarms";
import "./pages/devices";
import "./pages/journal";
import "./pages/kpi";
import "./pages/mimic";
import "./pages/overview";
import "./pages/redundancy";
import "./pages/settings";
import "./pages/tags";
import "./pages/trends";
import "./parts/signin";
import "./parts/frame";

defineIcon();
defineButton();

Object.defineProperty(window, "scada", { value: probe(client) });
