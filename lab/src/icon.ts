import { LabIcon } from '@jupyterlab/ui-components';

/** A layer, and what shows through it. The class is JupyterLab's for icons in the colour of its theme. */
export const nativeIcon = new LabIcon({
  name: 'diaphane:native',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M4 3h11a1 1 0 0 1 1 1v4h-2V5H5v9h3v2H4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1z"/>
    <path d="M9 8h11a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1zm1 2v9h9v-9z" fill-rule="evenodd"/>
    <path d="M11.5 15h1.5v3h-1.5zM13.9 13h1.5v5h-1.5zM16.3 11h1.5v7h-1.5z"/>
  </g>
</svg>`
});
