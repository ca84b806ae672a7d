"use strict";(self.rspackChunk_diaphane_lab=self.rspackChunk_diaphane_lab||[]).push([[266],{"./node_modules/css-loader/dist/cjs.js!./style/asked.css"(e,o,r){var t=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),d=r.n(t),a=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(a))()(d());i.push([e.id,`/* What is asked on demand */

.dph-Asked {
  padding-top: 8px;
  border-top: var(--jp-border-width) solid var(--jp-border-color2);
}

.dph-Asked + .dph-Asked {
  margin-top: calc(8px - var(--dph-gap));
}

.dph-Asked summary {
  list-style: none;
  cursor: pointer;
}

.dph-Asked summary::-webkit-details-marker {
  display: none;
}

.dph-Asked > div {
  padding: 6px 0;
}

.dph-Foot {
  display: flex;
  flex-wrap: wrap;
  align-items: baseline;
  gap: 2px 12px;
}

.dph-Count {
  margin-left: 6px;
  color: var(--jp-ui-font-color2);
  font-weight: normal;
}

.dph-Sizes li {
  display: flex;
  align-items: baseline;
  gap: 8px;
  padding: 2px 0;
}

.dph-Sizes small {
  display: block;
}

.dph-Sizes li > span:first-child {
  flex: 1;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.dph-Size {
  flex: 0 0 76px;
  font-variant-numeric: tabular-nums;
  text-align: right;
}

.dph-Size .dph-Bar i {
  background: var(--dph-python);
  transform-origin: right;
}

.dph-Findings li {
  padding: 4px 0 4px 8px;
  border-left: 3px solid var(--jp-border-color1);
}

.dph-Findings li + li {
  margin-top: 6px;
}

.dph-Findings li.dph-mod-warn {
  border-color: var(--jp-warn-color1);
}

.dph-Findings li.dph-mod-error {
  border-color: var(--jp-error-color1);
}

.dph-Findings small {
  margin-left: 8px;
}

.dph-Fix {
  color: var(--jp-ui-font-color2);
}

.dph-Panel .dph-Error {
  padding-left: 8px;
  border-left: 3px solid var(--jp-error-color1);
}
`,""]),r.d(o,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/base.css"(e,o,r){var t=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),d=r.n(t),a=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(a))()(d());i.push([e.id,`/* The panel's frame, its text, its buttons, and the item of the status bar. */

.dph-Panel {
  --dph-gap: 14px;
  --dph-native: var(--jp-warn-color1);
  --dph-python: var(--jp-brand-color1);

  min-width: 200px;
  padding: 0 10px 16px;
  overflow-y: auto;
  color: var(--jp-ui-font-color1);
  background: var(--jp-layout-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
  line-height: 1.35;
}

.dph-Panel *,
.dph-Panel *::before {
  box-sizing: border-box;
}

.dph-Panel h2,
.dph-Panel h3,
.dph-Panel p,
.dph-Panel ul,
.dph-Panel ol {
  margin: 0;
  padding: 0;
  font-weight: normal;
  font-size: inherit;
}

.dph-Panel ul,
.dph-Panel ol {
  list-style: none;
}

.dph-Panel small {
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
}

.dph-Panel code,
.dph-Panel pre {
  font-family: var(--jp-code-font-family);
  font-size: calc(var(--jp-code-font-size) - 1px);
}

.dph-Panel h3,
.dph-Threads caption,
.dph-Asked summary {
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
  font-weight: 600;
  text-align: left;
}

.dph-Title {
  position: sticky;
  top: 0;
  z-index: 1;
  display: flex;
  align-items: baseline;
  gap: 8px;
  margin: 0 -10px;
  padding: 8px 10px;
  background: var(--jp-layout-color1);
  border-bottom: var(--jp-border-width) solid var(--jp-border-color2);
}

.dph-Panel .dph-Title h2 {
  font-size: var(--jp-ui-font-size0);
  font-weight: 600;
  letter-spacing: 1px;
  text-transform: uppercase;
}

.dph-Title span {
  flex: 1;
  overflow: hidden;
  color: var(--jp-ui-font-color2);
  text-align: right;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.dph-Content {
  display: flex;
  flex-direction: column;
  gap: var(--dph-gap);
  padding-top: 12px;
  transition: opacity 0.3s;
}

.dph-Content.dph-mod-stale {
  opacity: 0.5;
}

.dph-Notice {
  margin-top: 12px;
  padding: 8px 10px;
  background: var(--jp-layout-color2);
  border-left: 3px solid var(--jp-border-color1);
}

.dph-Panel .dph-Notice pre + p {
  margin-top: 12px;
}

.dph-Notice pre {
  margin: 6px 0;
  padding: 4px 8px;
  background: var(--jp-layout-color0);
  user-select: all;
}

/* Buttons that look like text */

.dph-Link,
.dph-Fold,
.dph-Status button {
  padding: 0;
  border: none;
  background: none;
  color: inherit;
  font: inherit;
  text-align: left;
  cursor: pointer;
}

.dph-Link {
  color: var(--jp-content-link-color);
}

.dph-Link:hover {
  text-decoration: underline;
}

.dph-Link:disabled {
  color: var(--jp-ui-font-color2);
  cursor: default;
  text-decoration: none;
}

.dph-Fold::before,
.dph-Asked summary::before {
  display: inline-block;
  width: 14px;
  color: var(--jp-ui-font-color2);
  content: '▸';
}

.dph-Fold[aria-expanded='true']::before,
.dph-Asked[open] summary::before {
  content: '▾';
}

.dph-Panel :focus-visible,
.dph-Status :focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: 1px;
}

.dph-Status button {
  display: flex;
  align-items: center;
  gap: 4px;
  height: 100%;
  padding: 0 4px;
}

.dph-Status button:hover {
  background: var(--jp-layout-color3);
}

.dph-Status button span {
  display: flex;
}

.dph-Status b {
  padding: 0 4px;
  border: var(--jp-border-width) solid var(--jp-warn-color1);
  border-radius: var(--jp-border-radius);
  font-size: var(--jp-ui-font-size0);
  font-weight: 600;
  line-height: 1.3;
}

@media (prefers-reduced-motion: reduce) {
  .dph-Panel * {
    transition: none !important;
  }
}

/* For those who hear */

.dph-Said {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
`,""]),r.d(o,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/index.css"(e,o,r){var t=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),d=r.n(t),a=r("./node_modules/css-loader/dist/runtime/api.js"),i=r.n(a),n=r("./node_modules/css-loader/dist/cjs.js!./style/base.css"),p=r("./node_modules/css-loader/dist/cjs.js!./style/live.css"),l=r("./node_modules/css-loader/dist/cjs.js!./style/asked.css"),s=i()(d());s.i(n.A),s.i(p.A),s.i(l.A),s.push([e.id,`/* The panel of diaphane. All colours are the theme's; orange is native code and a GIL that is held, blue is Python. */
`,""]),r.d(o,{},{A:s})},"./node_modules/css-loader/dist/cjs.js!./style/live.css"(e,o,r){var t=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),d=r.n(t),a=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(a))()(d());i.push([e.id,`/* The GIL: its holder, and who had it at the last looks */

.dph-Gil-holder {
  display: block;
  padding: 5px 10px;
  overflow: hidden;
  border-left: 3px solid var(--jp-border-color1);
  background: var(--jp-layout-color2);
  font-weight: 600;
  text-overflow: ellipsis;
  white-space: nowrap;
  transition: border-color 0.2s;
}

.dph-Gil-holder.dph-mod-nobody {
  color: var(--jp-ui-font-color2);
  font-weight: normal;
}

.dph-Gil-holder.dph-mod-main {
  border-color: var(--dph-native);
}

.dph-Gil-holder.dph-mod-other {
  border-color: var(--dph-python);
}

.dph-Strip {
  display: block;
  width: 100%;
  height: 6px;
  margin-top: 2px;
  background: var(--jp-layout-color2);
}

.dph-Strip .dph-mod-main {
  fill: var(--dph-native);
}

.dph-Strip .dph-mod-other {
  fill: var(--dph-python);
}

/* A cell that has been running for long */

.dph-Cell {
  display: flex;
  flex-direction: column;
  gap: 8px;
  padding: 8px 10px 10px;
  border: var(--jp-border-width) solid var(--dph-python);
  border-radius: var(--jp-border-radius);
}

.dph-Cell.dph-mod-native {
  border-color: var(--dph-native);
}

.dph-Cell header {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  justify-content: space-between;
  gap: 4px 8px;
}

.dph-Panel .dph-Cell-interrupt {
  height: 24px;
  min-height: 0;
  margin: 0;
  padding: 0 10px;
  font-size: var(--jp-ui-font-size0);
  line-height: 24px;
}

.dph-Stack li {
  display: flex;
  gap: 8px;
  padding: 1px 0 1px 8px;
  border-left: 3px solid var(--dph-python);
  white-space: nowrap;
}

.dph-Stack li.dph-mod-native {
  border-color: var(--dph-native);
}

.dph-Stack code {
  flex: 1 1 auto;
  overflow: hidden;
  text-overflow: ellipsis;
}

.dph-Stack span {
  flex: 0 1 auto;
  max-width: 45%;
  overflow: hidden;
  color: var(--jp-ui-font-color2);
  text-overflow: ellipsis;
}

/* CPU time and memory */

.dph-Usage {
  display: grid;
  grid-template-columns: 1fr 1fr;
  gap: 12px;
}

.dph-Usage > div {
  min-width: 0;
}

.dph-Panel .dph-Usage h3 {
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
  font-weight: normal;
}

.dph-Usage b {
  font-size: var(--jp-ui-font-size2);
  font-variant-numeric: tabular-nums;
  font-weight: 600;
  white-space: nowrap;
}

.dph-Chart {
  display: block;
  width: 100%;
  height: 36px;
  margin-top: 3px;
  background: var(--jp-layout-color2);
}

.dph-Chart-line {
  fill: none;
  stroke: var(--dph-python);
  stroke-width: 1.5px;
  vector-effect: non-scaling-stroke;
}

.dph-Chart-area {
  fill: var(--dph-python);
  opacity: 0.2;
}

.dph-Chart.dph-mod-cpu .dph-Chart-line {
  stroke: var(--dph-native);
}

.dph-Chart.dph-mod-cpu .dph-Chart-area {
  fill: var(--dph-native);
}

/* Thread pools */

.dph-Pools li {
  display: flex;
  flex-wrap: wrap;
  align-items: baseline;
  justify-content: space-between;
  gap: 0 8px;
}

.dph-Pools li + li {
  margin-top: 4px;
}

.dph-Pools b {
  font-weight: normal;
}

.dph-Pools small {
  flex: 1 0 100%;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.dph-Pools b.dph-mod-tooMany {
  padding: 0 6px;
  border: var(--jp-border-width) solid var(--jp-warn-color1);
  border-radius: var(--jp-border-radius);
  font-weight: 600;
}

.dph-Pools p {
  flex: 1 0 100%;
  margin-top: 2px;
  padding-left: 8px;
  border-left: 3px solid var(--jp-warn-color1);
  color: var(--jp-ui-font-color2);
}

/* Threads */

.dph-Threads {
  width: 100%;
  border-collapse: collapse;
  table-layout: fixed;
}

.dph-Threads caption {
  padding-bottom: 2px;
}

.dph-Threads th,
.dph-Threads td {
  padding: 3px 0;
  overflow: hidden;
  font-weight: normal;
  text-align: left;
  text-overflow: ellipsis;
  vertical-align: top;
}

.dph-Threads thead th {
  color: var(--jp-ui-font-color2);
  border-bottom: var(--jp-border-width) solid var(--jp-border-color1);
  font-size: var(--jp-ui-font-size0);
  white-space: nowrap;
}

.dph-Threads thead th:nth-child(2) {
  width: 46px;
  text-align: right;
}

.dph-Threads thead th:nth-child(3) {
  width: 31%;
  padding-left: 10px;
}

.dph-Threads td:nth-child(3) {
  padding-left: 10px;
}

.dph-Threads tbody tr + tr {
  border-top: var(--jp-border-width) solid var(--jp-border-color3);
}

.dph-Threads small {
  display: block;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.dph-Name {
  display: block;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.dph-Threads tr.dph-mod-gil > th {
  box-shadow: inset 3px 0 var(--dph-native);
  padding-left: 8px;
}

.dph-Cpu {
  font-variant-numeric: tabular-nums;
}

.dph-Threads td.dph-Cpu {
  text-align: right;
}

.dph-Bar {
  display: block;
  height: 3px;
  margin-top: 3px;
  background: var(--jp-layout-color2);
}

.dph-Bar i {
  display: block;
  height: 100%;
  background: var(--dph-native);
  transform-origin: left;
  transition: transform 0.3s;
}

.dph-Badge {
  margin-right: 6px;
  padding: 0 3px;
  border: var(--jp-border-width) solid var(--dph-native);
  border-radius: var(--jp-border-radius);
  color: var(--jp-ui-font-color1);
  font-size: calc(var(--jp-ui-font-size0) - 1px);
  text-decoration: none;
  white-space: nowrap;
}

.dph-Sizes small {
  overflow: hidden;
  text-overflow: ellipsis;
}

.dph-mod-own td {
  color: var(--jp-ui-font-color2);
}

/* The profile of the rest of a cell */

.dph-Profile-button {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 10px;
}

.dph-Panel .dph-Profile-button button {
  height: 24px;
  min-height: 0;
  margin: 0;
  padding: 0 10px;
  font-size: var(--jp-ui-font-size0);
  line-height: 24px;
}

.dph-Profile {
  display: flex;
  flex-direction: column;
  gap: 8px;
  padding: 8px 10px 10px;
  border: var(--jp-border-width) solid var(--jp-border-color1);
  border-radius: var(--jp-border-radius);
}

.dph-Profile header,
.dph-Profile footer {
  display: flex;
  flex-wrap: wrap;
  align-items: baseline;
  justify-content: space-between;
  gap: 4px 12px;
}

.dph-Lines li + li {
  margin-top: 6px;
}

.dph-Lines span,
.dph-Lines code,
.dph-Lines small {
  display: block;
  overflow: hidden;
  text-overflow: ellipsis;
}

.dph-Lines code {
  white-space: nowrap;
}

.dph-Lines b {
  font-variant-numeric: tabular-nums;
}

.dph-Flame {
  max-height: 400px;
  overflow: auto;
}

.dph-Report {
  padding: 12px;
  overflow: auto;
}
`,""]),r.d(o,{},{A:i})},"./node_modules/css-loader/dist/runtime/api.js"(e){e.exports=function(e){var o=[];return o.toString=function(){return this.map(function(o){var r="",t=void 0!==o[5];return o[4]&&(r+="@supports (".concat(o[4],") {")),o[2]&&(r+="@media ".concat(o[2]," {")),t&&(r+="@layer".concat(o[5].length>0?" ".concat(o[5]):""," {")),r+=e(o),t&&(r+="}"),o[2]&&(r+="}"),o[4]&&(r+="}"),r}).join("")},o.i=function(e,r,t,d,a){"string"==typeof e&&(e=[[null,e,void 0]]);var i={};if(t)for(var n=0;n<this.length;n++){var p=this[n][0];null!=p&&(i[p]=!0)}for(var l=0;l<e.length;l++){var s=[].concat(e[l]);t&&i[s[0]]||(void 0!==a&&(void 0===s[5]||(s[1]="@layer".concat(s[5].length>0?" ".concat(s[5]):""," {").concat(s[1],"}")),s[5]=a),r&&(s[2]&&(s[1]="@media ".concat(s[2]," {").concat(s[1],"}")),s[2]=r),d&&(s[4]?(s[1]="@supports (".concat(s[4],") {").concat(s[1],"}"),s[4]=d):s[4]="".concat(d)),o.push(s))}},o}},"./node_modules/css-loader/dist/runtime/noSourceMaps.js"(e){e.exports=function(e){return e[1]}},"./style/index.css"(e,o,r){r.r(o);var t=r("./node_modules/style-loader/dist/runtime/injectStylesIntoStyleTag.js"),d=r.n(t),a=r("./node_modules/style-loader/dist/runtime/styleDomAPI.js"),i=r.n(a),n=r("./node_modules/style-loader/dist/runtime/insertBySelector.js"),p=r.n(n),l=r("./node_modules/style-loader/dist/runtime/setAttributesWithoutAttributes.js"),s=r.n(l),h=r("./node_modules/style-loader/dist/runtime/insertStyleElement.js"),c=r.n(h),u=r("./node_modules/style-loader/dist/runtime/styleTagTransform.js"),f=r.n(u),m=r("./node_modules/css-loader/dist/cjs.js!./style/index.css"),v={};v.styleTagTransform=f(),v.setAttributes=s(),v.insert=p().bind(null,"head"),v.domAPI=i(),v.insertStyleElement=c(),d()(m.A,v);let x=m.A&&m.A.locals?m.A.locals:void 0;r.d(o,{},{default:x})},"./node_modules/style-loader/dist/runtime/injectStylesIntoStyleTag.js"(e){var o=[];function r(e){for(var r=-1,t=0;t<o.length;t++)if(o[t].identifier===e){r=t;break}return r}function t(e,t){for(var d={},a=[],i=0;i<e.length;i++){var n=e[i],p=t.base?n[0]+t.base:n[0],l=d[p]||0,s="".concat(p," ").concat(l);d[p]=l+1;var h=r(s),c={css:n[1],media:n[2],sourceMap:n[3],supports:n[4],layer:n[5]};if(-1!==h)o[h].references++,o[h].updater(c);else{var u=function(e,o){var r=o.domAPI(o);return r.update(e),function(o){o?(o.css!==e.css||o.media!==e.media||o.sourceMap!==e.sourceMap||o.supports!==e.supports||o.layer!==e.layer)&&r.update(e=o):r.remove()}}(c,t);t.byIndex=i,o.splice(i,0,{identifier:s,updater:u,references:1})}a.push(s)}return a}e.exports=function(e,d){var a=t(e=e||[],d=d||{});return function(e){e=e||[];for(var i=0;i<a.length;i++){var n=r(a[i]);o[n].references--}for(var p=t(e,d),l=0;l<a.length;l++){var s=r(a[l]);0===o[s].references&&(o[s].updater(),o.splice(s,1))}a=p}}},"./node_modules/style-loader/dist/runtime/insertBySelector.js"(e){var o={};e.exports=function(e,r){var t=function(e){if(void 0===o[e]){var r=document.querySelector(e);if(window.HTMLIFrameElement&&r instanceof window.HTMLIFrameElement)try{r=r.contentDocument.head}catch(e){r=null}o[e]=r}return o[e]}(e);if(!t)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");t.appendChild(r)}},"./node_modules/style-loader/dist/runtime/insertStyleElement.js"(e){e.exports=function(e){var o=document.createElement("style");return e.setAttributes(o,e.attributes),e.insert(o,e.options),o}},"./node_modules/style-loader/dist/runtime/setAttributesWithoutAttributes.js"(e,o,r){e.exports=function(e){var o=r.nc;o&&e.setAttribute("nonce",o)}},"./node_modules/style-loader/dist/runtime/styleDomAPI.js"(e){e.exports=function(e){if("u"<typeof document)return{update:function(){},remove:function(){}};var o=e.insertStyleElement(e);return{update:function(r){var t,d,a;t="",r.supports&&(t+="@supports (".concat(r.supports,") {")),r.media&&(t+="@media ".concat(r.media," {")),(d=void 0!==r.layer)&&(t+="@layer".concat(r.layer.length>0?" ".concat(r.layer):""," {")),t+=r.css,d&&(t+="}"),r.media&&(t+="}"),r.supports&&(t+="}"),(a=r.sourceMap)&&"u">typeof btoa&&(t+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(a))))," */")),e.styleTagTransform(t,o,e.options)},remove:function(){var e;null===(e=o).parentNode||e.parentNode.removeChild(e)}}}},"./node_modules/style-loader/dist/runtime/styleTagTransform.js"(e){e.exports=function(e,o){if(o.styleSheet)o.styleSheet.cssText=e;else{for(;o.firstChild;)o.removeChild(o.firstChild);o.appendChild(document.createTextNode(e))}}}}]);