// How it looks; a page changes it by ::part().

export const look = new CSSStyleSheet();
look.replaceSync(`
:host{display:block;overflow-wrap:anywhere;font:14px/1.4 system-ui,sans-serif;color:CanvasText}
*{box-sizing:border-box;margin:0}
[hidden]{display:none!important}
section,form,label{display:grid;gap:.4em}
label:has([type=checkbox],[type=radio]),[part=calls],[part=head]{display:flex;gap:.5em}
div{flex-wrap:wrap;align-items:baseline}
section,input,textarea,button{font:inherit;color:inherit;background:Canvas;border:1px solid GrayText;border-radius:.4em;padding:.3em}
section{padding:.8em}
[part=save],[aria-pressed=true],:checked+span{border-color:LinkText;color:LinkText;font-weight:600}
[data-state=refused],[data-state=missed],[data-state=overdue],[part=connection]{color:light-dark(#a01c12,#ffa199)}
label:has([type=checkbox]){flex-direction:row-reverse;justify-content:flex-end}
label:has([part=pause_after]:not(:checked))+label{display:none}
[part=save]{justify-self:start}
[part=outcome],[part=countdown]{font-weight:600}
[part=codes]{max-height:12em;overflow:auto;padding:.2em}
details>label,details>details{margin-inline-start:1.2em}
:focus-visible{outline:2px solid LinkText}
`);
