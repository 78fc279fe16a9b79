"""The contact sheet."""

from __future__ import annotations

import torch

from impasto.images.contact_sheet import contact_sheet


def test_contact_sheet_shows_each_picture_in_its_place() -> None:
    red, wide = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 64, 64), torch.zeros(3, 20, 80)
    sheet = contact_sheet([[red, wide], [wide]], titles=["Red", "A title"], tile=64)
    plain = contact_sheet([[red, wide], [wide]], tile=64)
    assert plain.shape == (3, 2 + 2 * 66, 2 + 2 * 66) and sheet.shape[2] == plain.shape[2]
    header = sheet.shape[1] - plain.shape[1]
    assert (sheet[:, :header].amin() < 0.5) and torch.equal(sheet[:, header + 2 :], plain[:, 2:])
    assert torch.equal(plain[:, 2:66, 2:66], red)
    assert (plain[:, :2] == 1).all() and (plain[:, :, 66:68] == 1).all(), "white gutters"
    assert (plain[:, 34, 68:132] == 0).all() and (plain[:, 10, 68:132] == 1).all(), "fitted, not stretched"
