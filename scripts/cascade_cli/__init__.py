# SPDX-License-Identifier: BSD-2-Clause
"""What stands behind ./cascade. Thin by intent: whatever is logic about virtualization is C."""
