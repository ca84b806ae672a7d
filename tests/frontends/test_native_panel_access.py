"""The panel "Native" for those who use a keyboard or a screen reader, as axe-core and the browser see it."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from support.native_panel import run

HELD = "import ctypes\nctypes.PyDLL(None).sleep(3600)"
LOOP = "while True:\n    sum(range(1000))"
ARRAY = "import numpy as np\na = np.zeros(1000)"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# A side bar's widget is no page of its own: JupyterLab has no headings above it.
RULES["rules"] = {"heading-order": {"enabled": False}}

# What is told without being asked for, from now on.
HEAR = """() => {
    const panel = document.querySelector('.dph-Panel');
    window.heard = [];
    new MutationObserver((changes) => {
        for (const { target } of changes) {
            const element = target.nodeType === 1 ? target : target.parentElement;
            const live = element?.closest('[role=status], [role=alert], [aria-live=polite], [aria-live=assertive]');
            if (live && panel.contains(live)) window.heard.push(live.textContent.trim());
        }
    }).observe(panel, { subtree: true, childList: true, characterData: true });
}"""

# Whether the element with the focus is in the panel, what it is called, and how the focus is seen.
FOCUSED = """() => {
    const at = document.activeElement;
    const style = getComputedStyle(at);
    return [Boolean(at.closest('.dph-Panel')), at.tagName + ' ' + (at.ariaLabel ?? at.textContent).trim(),
            style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0];
}"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def faults(window) -> list[str]:
    """What axe-core finds wrong in the panel."""
    found = Axe().run(window.page, context={"include": [[".dph-Panel"]]}, options=RULES)
    violations = found.response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary']}"
        for one in violations
        for node in one["nodes"]
    ]


def faults_in_both_themes(window) -> list[str]:
    found = []
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        window.theme(theme)
        found += faults(window)
    return found


def profile(window, panel) -> None:
    panel("button").filter(has_text="Profile the rest of this cell").click()
    panel(".dph-Profile-button").filter(has_text="Profiling for").wait_for()
    panel.more_answers()
    panel(".dph-Profile-button button").click()
    panel(".dph-Flame").wait_for()
    panel("button").filter(has_text="Profile the rest of this cell").wait_for()


def test_what_is_shown_has_names_roles_and_contrast(lab):
    window, panel = lab(ARRAY, HELD)
    panel.open()
    run(window, 0)
    window.prompt(0, "[1]:")
    window.idle()
    for summary in panel("details summary").all():
        summary.click()
    panel("details .dph-Sizes li").filter(has_text="numpy").first.wait_for()
    panel("details [aria-busy=true]").first.wait_for(state="detached")
    panel("button.dph-Fold").last.click()
    assert not "\n".join(faults_in_both_themes(window))
    run(window, 1)
    panel(".dph-Stack li").first.wait_for()
    profile(window, panel)
    assert not "\n".join(faults_in_both_themes(window))
    panel(".dph-Cell-interrupt").click()
    panel(".dph-Cell").wait_for(state="detached")


def test_keys_go_through_it_and_out(lab):
    window, panel = lab(HELD)
    panel.open()
    run(window, 0)
    panel(".dph-Stack li").first.wait_for()
    profile(window, panel)
    panel("button, summary, [tabindex='0']").first.focus()
    passed = []
    # JupyterLab has a hundred places behind it; in a trap one would never come there.
    for _ in range(60):
        passed.append(window.page.evaluate(FOCUSED))
        window.page.keyboard.press("Tab")
    inside = [(name, is_seen) for is_inside, name, is_seen in passed if is_inside]
    assert not passed[-1][0], "the focus never leaves the panel"
    assert [name for name, is_seen in inside if not is_seen] == []
    names = [name for name, _ in inside]
    for expected in (
        "BUTTON Profile the rest of this cell",
        "BUTTON Interrupt",
        "BUTTON Open report",
    ):
        assert expected in names, names
    # A key does what a click does, and the focus is not lost with the button.
    panel("button").filter(has_text="Profile the rest of this cell").focus()
    window.page.keyboard.press("Enter")
    panel(".dph-Profile-button").filter(has_text="Profiling for").wait_for()
    assert window.page.evaluate(FOCUSED)[1] == "BUTTON Stop"
    window.page.keyboard.press("Space")
    panel(".dph-Flame").wait_for()
    panel(".dph-Cell-interrupt").focus()
    window.page.keyboard.press("Enter")
    panel(".dph-Cell").wait_for(state="detached")
    assert window.page.evaluate(FOCUSED)[0]
    assert not panel.errors


def test_it_speaks_of_what_happened_and_not_of_every_number(lab):
    window, panel = lab(LOOP)
    panel.open()
    window.page.evaluate(HEAR)
    run(window, 0)
    panel(".dph-Stack li").first.wait_for()
    profile(window, panel)
    panel.more_answers(6)
    panel(".dph-Cell-interrupt").click()
    panel(".dph-Cell").wait_for(state="detached")
    panel.more_answers()
    heard = window.page.evaluate("window.heard")
    assert heard == [
        "In[1] takes long",
        "The rest of the cell is being profiled",
        "The profile is there",
    ]
