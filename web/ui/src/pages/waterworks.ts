// The picture of the waterworks, as plain SVG. What moves is named by attributes: data-tag names the tag, data-show says how it
// shows (text, level, run, open), data-alarms the prefix of the tags whose alarms are marked there. parts/bind.ts fills them in.

import { svg, type SVGTemplateResult } from "lit";
import type { Key } from "../core/i18n";
import { settings } from "../parts/context";

const label = (x: number, y: number, key: Key, values?: Record<string, string | number>): SVGTemplateResult => svg`<text class="m-label" x=${x} y=${y}>${settings.t(key, values)}</text>`;

/** reading is a number in a box: a tag's value with its unit. */
const reading = (x: number, y: number, tag: string, width = 92): SVGTemplateResult => svg`<g class="m-reading" data-tag=${tag} data-show="text" role="button" tabindex="0" transform="translate(${x} ${y})">
  <rect width=${width} height="22" rx="2"></rect><text x=${width - 6} y="15.5" text-anchor="end"></text></g>`;

/** pump is a circle with a triangle in the direction of flow: filled when it runs. */
const pump = (x: number, y: number, prefix: string, name: string): SVGTemplateResult => svg`<g class="m-equip" data-tag="${prefix}/running" data-show="run" role="button" tabindex="0" transform="translate(${x} ${y})">
    <circle r="17"></circle><path d="M-8 -11 L14 0 L-8 11 Z"></path></g>
  ${name === "" ? svg`` : svg`<text class="m-name" x=${x} y=${y + 32} text-anchor="middle">${name}</text><g data-alarms="${prefix}/" transform="translate(${x + 12} ${y - 28})"></g>`}`;

/** valve is two triangles: filled when it is not closed. */
const valve = (x: number, y: number, tag: string, name: string): SVGTemplateResult => svg`<g class="m-equip m-valve" data-tag=${tag} data-show="open" role="button" tabindex="0" transform="translate(${x} ${y})">
    <path d="M-14 -10 L0 0 L-14 10 Z M14 -10 L0 0 L14 10 Z"></path></g>
  <text class="m-name" x=${x} y=${y - 16} text-anchor="middle">${name}</text>`;

/** tank is a vessel with its level. */
const tank = (x: number, y: number, w: number, h: number, tag: string, key: Key, alarms: string): SVGTemplateResult => svg`<g class="m-tank" data-tag=${tag} data-show="level" data-height=${h - 4} role="button" tabindex="0" transform="translate(${x} ${y})">
    <rect class="shell" width=${w} height=${h} rx="3"></rect><rect class="fill" x="2" y=${h - 2} width=${w - 4} height="0"></rect>
    <text x=${w / 2} y=${h / 2 + 5} text-anchor="middle"></text></g>
  ${label(x, y - 8, key)}<g data-alarms=${alarms} transform="translate(${x + w - 20} ${y - 26})"></g>`;

const pipe = (d: string): SVGTemplateResult => svg`<path class="m-pipe" d=${d}></path>`;

const filter = (x: number, n: number): SVGTemplateResult => svg`<g class="m-tank" data-tag="treatment/filter${n}/head_loss" data-show="none" role="button" tabindex="0" transform="translate(${x} 210)">
    <rect class="shell" width="84" height="104" rx="3"></rect><path class="m-sand" d="M2 60 h80 v42 h-80 z"></path></g>
  <text class="m-label" x=${x + 42} y="303" text-anchor="middle">${settings.t("mimic.filter", { n })}</text>
  ${reading(x, 216, `treatment/filter${n}/flow`, 84)}${reading(x, 242, `treatment/filter${n}/head_loss`, 84)}
  <g data-alarms="treatment/filter${n}/" transform="translate(${x + 66} 184)"></g>`;

const well = (y: number, n: number): SVGTemplateResult => svg`${pump(830, y, `wells/well${n}/pump`, "")}${reading(856, y - 11, `wells/well${n}/flow`, 84)}${label(762, y + 4, "mimic.well", { n })}
  <g data-alarms="wells/well${n}/" transform="translate(738 ${y - 10})"></g>`;

/** waterworks draws the whole picture, 1200 by 600. */
export function waterworks(): SVGTemplateResult {
  return svg`<g>
    ${pipe("M96 130 H120 M120 60 V230 M120 60 H150 M120 145 H150 M120 230 H150")}
    ${pipe("M184 60 H225 V230 H184 M184 145 H225 M225 145 H262")}
    ${pipe("M342 210 H366 V166 H392")}
    ${pipe("M420 166 H720 V210 M438 166 V210 M532 166 V210 M626 166 V210")}
    ${pipe("M438 314 V338 H770 V450 H800 M532 314 V338 M626 314 V338 M720 314 V338")}
    ${pipe("M920 460 H944 M944 440 V520 M944 440 H960 M944 520 H960 M994 440 H1030 V520 H994 M1030 480 H1060")}
    ${pipe("M1060 480 V150 M1060 150 H1080 M1060 240 H1080 M1060 330 H1080")}

    <g class="m-river"><path d="M20 40 C40 80 10 120 34 160 S16 240 36 270 H92 V40 Z"></path></g>
    ${label(24, 28, "mimic.river")}${reading(20, 286, "intake/river/level")}${reading(20, 312, "intake/river/turbidity")}${reading(20, 338, "intake/river/temperature")}
    <g data-alarms="intake/river/" transform="translate(74 12)"></g>

    ${pump(167, 60, "intake/pump1", "P1")}${pump(167, 145, "intake/pump2", "P2")}${pump(167, 230, "intake/pump3", "P3")}
    ${label(128, 28, "mimic.intake")}
    ${reading(134, 286, "intake/header/flow")}${reading(134, 312, "intake/header/pressure")}${reading(134, 338, "intake/supply/power")}

    ${tank(262, 110, 80, 150, "intake/raw_tank_level/value", "mimic.rawTank", "intake/raw_tank_level/")}
    ${valve(406, 166, "treatment/inlet_valve/position", "V1")}

    ${label(400, 60, "mimic.coagulant")}${reading(400, 68, "treatment/coagulant/value")}${reading(400, 94, "treatment/coagulant/dosed")}
    <path class="m-dose" d="M446 116 V160"></path><g data-alarms="treatment/coagulant/" transform="translate(496 46)"></g>
    <g class="m-equip" data-tag="mixer/running" data-show="run" role="button" tabindex="0" transform="translate(560 96)"><rect x="-24" y="-26" width="48" height="52" rx="3"></rect><path d="M0 -34 V10 M-14 10 H14"></path></g>
    ${label(540, 56, "mimic.mixer")}${reading(592, 68, "mixer/speed")}${reading(592, 94, "mixer/polymer/value")}
    <path class="m-dose" d="M560 122 V160"></path><g data-alarms="mixer/" transform="translate(668 46)"></g>

    ${filter(396, 1)}${filter(490, 2)}${filter(584, 3)}${filter(678, 4)}

    ${label(560, 372, "mimic.chlorine")}${reading(560, 380, "treatment/chlorine/value")}${reading(560, 406, "treatment/ph")}
    <path class="m-dose" d="M652 391 H700 V344"></path><g data-alarms="treatment/chlorine/" transform="translate(640 358)"></g>

    ${label(762, 22, "mimic.wells")}
    ${pipe("M940 52 H962 V178 H940 M940 94 H962 M940 136 H962 M962 178 V370 H890 V400")}
    ${well(52, 1)}${well(94, 2)}${well(136, 3)}${well(178, 4)}

    ${tank(800, 400, 120, 120, "treatment/clear_tank/level", "mimic.clearTank", "treatment/clear_tank/")}
    ${reading(800, 530, "treatment/clear_tank/turbidity", 120)}

    ${pump(977, 440, "network/pump1", "P4")}${pump(977, 520, "network/pump2", "P5")}
    ${label(944, 404, "mimic.network")}
    ${reading(1066, 469, "network/flow", 104)}${reading(1066, 495, "network/pressure/value", 104)}

    ${label(1084, 128, "mimic.north")}${reading(1082, 138, "network/north/pressure")}
    ${label(1084, 218, "mimic.centre")}${reading(1082, 228, "network/centre/pressure")}
    ${label(1084, 308, "mimic.south")}${reading(1082, 318, "network/south/pressure")}
    ${tank(1098, 366, 60, 64, "network/reservoir/level", "mimic.reservoir", "network/reservoir/")}
    <g data-alarms="network/pressure/" transform="translate(1172 470)"></g>
  </g>`;
}
