"""The charger as Matter endpoints, whose clusters see the box through `charge_point_view.ChargePointInterface`."""
