"""test_page_folders.py - whole folders in the page's files, dropped or chosen, in a real browser."""


def drop(page, *paths):
    """Drops these of this machine on the files, as a person does."""
    where = page.js("const r = document.querySelector('.files').getBoundingClientRect(); return [r.x + r.width / 2, r.y + 60]")
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.driver.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": where[0], "y": where[1], "data": data})


def paths(page):
    listed = page.gateway.client.get(f"{page.path}/files", params={"recursive": "true", "limit": 1000})
    assert listed.status_code == 200, listed.text
    return [one["path"] for one in listed.json()["files"]]


def settled(page):
    page.until(lambda: not page.all(".moves > li:not(.failed)"), "the end of all transfers")


def test_a_folder_that_is_dropped_keeps_its_structure(page, tmp_path):
    (tmp_path / "tree" / "deep" / "er ü%#").mkdir(parents=True)
    (tmp_path / "tree" / "empty" / "hollow").mkdir(parents=True)
    (tmp_path / "tree" / "top.txt").write_text("top")
    (tmp_path / "tree" / "deep" / "er ü%#" / "a b.csv").write_text("x,y\n")
    (tmp_path / "beside.txt").write_text("beside")
    many = [f"tree/many/{i:03}" for i in range(130)]  # more than the browser tells at a time
    (tmp_path / "tree" / "many").mkdir()
    for one in many:
        (tmp_path / one).write_text(one)
    drop(page, tmp_path / "tree", tmp_path / "beside.txt")
    page.shows("tree", "beside.txt", within=".file-list")
    settled(page)
    assert paths(page) == ["beside.txt", "tree", "tree/deep", "tree/deep/er ü%#", "tree/deep/er ü%#/a b.csv", "tree/empty",
                           "tree/empty/hollow", "tree/many", *many, "tree/top.txt"]
    assert page.gateway.client.get(f"{page.path}/files/tree/many/129").text == "tree/many/129"
    assert not page.all(".moves li")


def test_what_cannot_be_uploaded_is_named(page, tmp_path):
    (tmp_path / "half").mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / "half" / name).write_text(name)
    page.gateway.client.post(f"{page.path}/files:mkdir", json={"path": "half/b.txt/in the way"})
    drop(page, tmp_path / "half")
    page.shows("half/b.txt: ", "2 of 3 uploaded", within=".moves")
    assert "half/a.txt" in paths(page) and "half/c.txt" in paths(page)
    page.press("Dismiss half/")
    page.until(lambda: not page.all(".moves li"), "the line is gone")


def test_a_folder_of_too_many_files_is_refused(page, tmp_path):
    (tmp_path / "huge").mkdir()
    for i in range(2001):
        (tmp_path / "huge" / str(i)).touch()
    drop(page, tmp_path / "huge")
    page.shows("more than 2000 files", within=".moves")
    assert not paths(page)


def test_a_folder_that_is_chosen_goes_where_one_looks(page, tmp_path):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "a.txt").write_text("a")
    page.gateway.client.post(f"{page.path}/files:mkdir", json={"path": "there"})
    page.press("Look again")
    page.press("there", within=".file-list", until=lambda: "there" in page.text(".crumbs"))
    page.all(".files input[webkitdirectory]")[0].send_keys(str(tmp_path / "tree"))
    page.shows("tree", within=".file-list")
    settled(page)
    assert paths(page) == ["there", "there/tree", "there/tree/deep", "there/tree/deep/a.txt"]
